"""redis-py as its users use it: the defaults of the newest version, then RESP2 and RESP3 by name."""

import os
import sys
import threading
import time

import redis

port = int(sys.argv[1])
# A reference server of a version without DELIFEQ is good enough to try this script itself.
has_delifeq = sys.argv[2] == "memento"


def use(r):
    assert r.ping()
    r.delete("py:a", "py:b", "py:binary", "py:big", "py:counter", "py:lock")
    assert r.set("py:a", "1") and r.get("py:a") == b"1"
    assert r.get("py:missing") is None
    assert r.set("py:a", "2", nx=True) is None and r.set("py:a", "2", xx=True, get=True) == b"1"
    assert r.mset({"py:a": "x", "py:b": "y"}) and r.mget("py:a", "py:missing", "py:b") == [b"x", None, b"y"]
    binary = bytes(range(256)) * 3
    assert r.set("py:binary", binary) and r.get("py:binary") == binary
    big = os.urandom(5_000_000)
    assert r.set("py:big", big) and r.get("py:big") == big and r.strlen("py:big") == len(big)
    assert r.incr("py:counter") == 1 and r.incrby("py:counter", 41) == 42 and r.incrbyfloat("py:counter", 0.5) == 42.5
    assert r.expire("py:a", 100) and 98 <= r.ttl("py:a") <= 100 and 98_000 < r.pttl("py:a") <= 100_000
    assert r.persist("py:a") and r.ttl("py:a") == -1
    assert r.set("py:a", "short", px=30)
    while r.exists("py:a"):
        time.sleep(0.005)
    assert r.delete("py:b", "py:missing") == 1
    try:
        r.set("py:b", "word")
        r.incr("py:b")
        raise AssertionError("a word was counted")
    except redis.ResponseError as error:
        assert str(error) == "value is not an integer or out of range", error

    with r.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.set(f"py:key:{number}", number)
        assert all(pipe.execute())
    assert len(set(r.scan_iter("py:key:*", count=100))) == 10_000
    assert len(r.keys("py:key:*")) == 10_000
    assert r.dbsize() >= 10_000
    assert r.delete(*[f"py:key:{number}" for number in range(10_000)]) == 10_000

    with r.pipeline() as pipe:
        assert pipe.set("py:a", 1).incr("py:a").get("py:a").execute() == [True, 2, b"2"]
    with r.pipeline() as pipe:
        pipe.watch("py:a")
        r.set("py:a", "changed")
        pipe.multi()
        pipe.set("py:a", "lost")
        try:
            pipe.execute()
            raise AssertionError("a watched key changed unseen")
        except redis.WatchError:
            pass
    assert r.get("py:a") == b"changed"

    def add(pipe):
        now = int(pipe.get("py:counter"))
        pipe.multi()
        pipe.set("py:counter", now + 1)

    r.set("py:counter", 0)
    threads = [threading.Thread(target=lambda: [r.transaction(add, "py:counter") for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert r.get("py:counter") == b"200"

    # The lock as the README prints it.
    token = os.urandom(16).hex()
    assert r.set("py:lock", token, nx=True, px=10000)
    assert not r.set("py:lock", "another", nx=True, px=10000)
    if has_delifeq:
        assert r.execute_command("DELIFEQ", "py:lock", "another") == 0
        assert r.execute_command("DELIFEQ", "py:lock", token) == 1
        assert r.get("py:lock") is None

    subscriber = r.pubsub()
    subscriber.subscribe("py:news")
    subscriber.psubscribe("py:n*")
    told = [subscriber.get_message(timeout=20) for _ in range(2)]
    assert [message["type"] for message in told] == ["subscribe", "psubscribe"], told
    assert r.publish("py:news", "rain") == 2
    told = [subscriber.get_message(timeout=20) for _ in range(2)]
    assert sorted(message["type"] for message in told) == ["message", "pmessage"], told
    assert all(message["data"] == b"rain" and message["channel"] == b"py:news" for message in told), told
    assert r.pubsub_channels("py:*") == [b"py:news"] and r.pubsub_numsub("py:news") == [(b"py:news", 1)]
    assert r.pubsub_numpat() == 1
    heard = []
    listener = r.pubsub()
    listener.subscribe(**{"py:thread": lambda message: heard.append(message["data"])})
    thread = listener.run_in_thread(sleep_time=0.01)
    while r.publish("py:thread", "x") == 0 or not heard:
        time.sleep(0.005)
    thread.stop()
    thread.join()
    subscriber.close()

    info = r.info()
    assert info["redis_version"].startswith("7.0.") and "used_memory" in info and "connected_clients" in info, info
    assert isinstance(r.info("keyspace").get("db0", {}), dict)
    assert r.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert r.client_setname("oracle") and r.client_id() > 0
    assert abs(r.time()[0] - time.time()) < 5
    assert len(r.execute_command("COMMAND LIST")) > 50
    assert isinstance(r.slowlog_get(), list)


use(redis.Redis(port=port))
for protocol in 2, 3:
    use(redis.Redis(port=port, protocol=protocol, client_name="py"))
text = redis.Redis.from_url(f"redis://127.0.0.1:{port}/0", decode_responses=True)
assert text.set("py:a", "\u00e9") and text.get("py:a") == "\u00e9"
print("redis-py", redis.__version__, "is content")
