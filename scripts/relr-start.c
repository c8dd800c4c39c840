/*
 * Where the static program begins on x86_64 (scripts/build-static.sh links it in): moves the program's own pointers to
 * where the kernel has laid it, as the linker tells of them in DT_RELR, then goes on to musl's start, which knows older
 * kinds of relocations alone. Nothing here may have a pointer that is still to be moved, or call a function.
 */
#include <elf.h>

extern const Elf64_Dyn dynamic[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));
extern const char header[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));

/* The stack is left to musl as the kernel gave it; the registers mean nothing in a program without an interpreter. */
__asm__(".globl relr_start\n"
        "relr_start:\n"
        "    movq %rsp, %rbx\n"
        "    andq $-16, %rsp\n"
        "    call relr_move\n"
        "    movq %rbx, %rsp\n"
        "    jmp _start\n");

/* An even entry is a pointer's address; each bit of an odd one, from its second on, is for one of the 63 next words. */
__attribute__((used, visibility("hidden"))) void relr_move(void)
{
    const Elf64_Addr base = (Elf64_Addr)header;
    const Elf64_Addr *entry = 0;
    Elf64_Addr *next = 0;
    Elf64_Xword bytes = 0;

    for (const Elf64_Dyn *tag = dynamic; tag->d_tag != DT_NULL; tag++) {
        if (tag->d_tag == DT_RELR)
            entry = (const Elf64_Addr *)(base + tag->d_un.d_ptr);
        if (tag->d_tag == DT_RELRSZ)
            bytes = tag->d_un.d_val;
    }
    for (; bytes != 0; bytes -= sizeof *entry, entry++) {
        if ((*entry & 1) == 0) {
            next = (Elf64_Addr *)(base + *entry);
            *next++ += base;
            continue;
        }
        for (int bit = 1; bit < 64; bit++) {
            if (*entry >> bit & 1)
                next[bit - 1] += base;
        }
        next += 63;
    }
}
