"""redis-py's RedisCluster as its users use it, on a cluster of the nodes whose ports are given."""

import sys

from redis.cluster import ClusterNode, RedisCluster

ports = [int(port) for port in sys.argv[1:]]

for protocol in (2, 3):
    for first in ports:
        nodes = [ClusterNode("127.0.0.1", first)]
        r = RedisCluster(startup_nodes=nodes, protocol=protocol)
        assert {node.port for node in r.get_nodes()} == set(ports), r.get_nodes()
        assert {node.port for node in r.get_primaries()} == set(ports), r.get_primaries()
        for number in range(500):
            assert r.set(f"pyc:{number}", number)
        assert all(r.get(f"pyc:{number}") == str(number).encode() for number in range(500))
        assert r.get("pyc:missing") is None
        assert r.incr("pyc:1") == 2 and r.append("pyc:2", "x") == 2
        with r.pipeline() as pipe:
            for number in range(500):
                pipe.set(f"pyc:{number}", number).get(f"pyc:{number}")
            answers = pipe.execute()
        assert answers[0::2] == [True] * 500 and answers[1::2] == [str(n).encode() for n in range(500)]
        assert r.mset_nonatomic({f"pyc:{number}": "m" for number in range(100)})
        assert r.mget_nonatomic([f"pyc:{number}" for number in range(100)]) == [b"m"] * 100
        assert r.mset({"{pyc}a": 1, "{pyc}b": 2}) and r.mget("{pyc}a", "{pyc}b") == [b"1", b"2"]
        assert r.delete(*[f"pyc:{number}" for number in range(0, 500, 2)]) == 250
        assert r.exists(*[f"pyc:{number}" for number in range(500)]) == 250
        assert r.keyslot("123456789") == 12739 == r.cluster_keyslot("123456789")
        assert r.cluster_info(target_nodes=RedisCluster.RANDOM)["cluster_state"] == "ok"
        assert r.dbsize(target_nodes=nodes) == len(r.keys(target_nodes=nodes)) == 252
        # It asks every node, and each tells of itself alone when the connection says READONLY first.
        reader = RedisCluster(startup_nodes=nodes, protocol=protocol, read_from_replicas=True)
        found = list(reader.scan_iter("pyc:*", count=50))
        assert len(found) == len(set(found)) == 250, f"{len(found)} keys, {len(set(found))} different ones"
        assert reader.dbsize(target_nodes=RedisCluster.PRIMARIES) == 252
        assert len(reader.keys("*", target_nodes=RedisCluster.PRIMARIES)) == 252
        reader.close()
        assert r.flushall(target_nodes=RedisCluster.RANDOM)
        assert r.get("pyc:1") is None
        r.close()
print("RedisCluster is content")
