"""librdkafka's own cluster for tests, as a process that obeys its input.

`python kafka_mock.py` prints the addresses of three brokers, and then `done` after each
line that it reads: `topic NAME`; `error NAME CODE`: each request for the topic fails
with this code of Kafka's protocol; `fail API CODE`: the next request of that kind does;
`down` and `up`. A broker that is down refuses connections, and keeps what it confirmed.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import confluent_kafka

BROKERS = 3
PARTITIONS = 4
PRODUCER = 0


def library() -> ctypes.CDLL:
    """The librdkafka that the wheel of confluent-kafka has."""
    folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    [path] = folder.glob("librdkafka*")
    return ctypes.CDLL(str(path))


class Cluster:
    def __init__(self) -> None:
        self._lib = library()
        for name in ("conf_new", "new", "mock_cluster_new"):
            getattr(self._lib, f"rd_kafka_{name}").restype = ctypes.c_void_p
        self._lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        conf = ctypes.c_void_p(self._lib.rd_kafka_conf_new())
        handle = ctypes.c_void_p(self._lib.rd_kafka_new(PRODUCER, conf, None, 0))
        self._mock = ctypes.c_void_p(
            self._lib.rd_kafka_mock_cluster_new(handle, BROKERS)
        )
        self._call("group_initial_rebalance_delay_ms", 0)

    def addresses(self) -> str:
        text: bytes = self._lib.rd_kafka_mock_cluster_bootstraps(self._mock)
        return text.decode()

    def obey(self, command: str, *words: str) -> None:
        match command:
            case "topic":
                name = words[0].encode()
                self._call("topic_create", name, PARTITIONS, BROKERS)
            case "error":
                self._call("topic_set_error", words[0].encode(), int(words[1]))
            case "fail":
                self._call("push_request_errors", int(words[0]), 1, int(words[1]))
            case "down" | "up":
                for broker in range(1, BROKERS + 1):
                    self._call(f"broker_set_{command}", broker)

    def _call(self, name: str, *arguments: object) -> None:
        getattr(self._lib, f"rd_kafka_mock_{name}")(self._mock, *arguments)


def main() -> None:
    cluster = Cluster()
    print(cluster.addresses(), flush=True)
    for line in sys.stdin:
        cluster.obey(*line.split())
        print("done", flush=True)


if __name__ == "__main__":
    main()
