// The header in C++: plusplus HOST PORT
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "memento.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    auto close = [](memento *c) { memento_close(c); };
    std::unique_ptr<memento, decltype(close)> c(memento_connect(argv[1], std::atoi(argv[2]), 20000), close);
    if (!c) {
        std::cerr << memento_connect_error() << '\n';
        return 1;
    }
    using namespace std::string_view_literals;
    constexpr auto value = "one\0two"sv;
    if (memento_set(c.get(), "c++", 3, value.data(), value.size(), 0) != MEMENTO_OK)
        return 1;
    char *val = nullptr;
    std::size_t vlen = 0;
    if (memento_get(c.get(), "c++", 3, &val, &vlen) != MEMENTO_OK)
        return 1;
    bool same = value == std::string_view(val, vlen);
    memento_free(val);
    std::string text;
    const char *words[] = {"PING"};
    memento_pipeline_append(c.get(), 1, words, nullptr);
    auto keep = [](void *data, std::size_t, const memento_reply *reply) {
        const char *bytes;
        std::size_t length;
        if (memento_reply_string(reply, &bytes, &length) == MEMENTO_OK)
            static_cast<std::string *>(data)->assign(bytes, length);
    };
    return same && memento_pipeline_run(c.get(), keep, &text) == MEMENTO_OK && text == "PONG" ? 0 : 1;
}
