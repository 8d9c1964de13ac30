"""Downloads: https from public addresses, exactly the described bytes, never anything else."""

import contextlib
import hashlib
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hand_bench.errors import SubmissionError
from hand_leaderboard.submissions import fetching
from hand_leaderboard.submissions.fetching import Network, fetch, is_public
from hand_leaderboard.submissions.meta import PredictionsFile

PUBLIC = "93.184.215.14"
DATA = bytes(range(256)) * 2_000
URL = "https://example.org/p.parquet"


@dataclass
class Site:
    """What a server answers, by path, and what it was asked: (status, headers, body)."""

    answers: dict[str, tuple[int, dict, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    addresses: dict[str, list[str]] = field(default_factory=dict)
    reached: list[tuple[str, int]] = field(default_factory=list)
    port: int = 0

    def network(self, **options) -> Network:
        """A network in which every host is this server, at the address that it should have."""

        def connect(address, port, timeout):
            self.reached.append((address, port))
            return socket.create_connection(("127.0.0.1", self.port), timeout)

        return Network(
            look_up=lambda host, port: self.addresses.get(host, [PUBLIC]), connect=connect,
            secure=lambda connection, host: connection, pause=0.0,
            **{"timeout": 5.0, "tries": 1, **options},
        )  # fmt: skip


@pytest.fixture
def site(home):
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            state.asked.append(self.path)
            state.hosts.append(self.headers["Host"])
            status, headers, body = state.answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def wanted(data: bytes = DATA, url: str = URL, **changed) -> PredictionsFile:
    given = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "url": url}
    return PredictionsFile(**(given | changed))


def nothing_is_left(home) -> bool:
    return not [p for p in home.rglob("*") if p.is_file()]


def test_the_described_bytes_are_fetched_once_and_kept(site, home):
    site.answers["/p.parquet"] = (200, {}, DATA)
    path = fetch(wanted(), network=site.network())
    assert path.read_bytes() == DATA and path == fetching.cached(wanted().sha256)
    assert fetch(wanted(), network=site.network()) == path and len(site.asked) == 1
    assert site.hosts == ["example.org"] and site.reached == [(PUBLIC, 443)]


def test_a_kept_file_that_was_changed_is_fetched_again(site, home):
    site.answers["/p.parquet"] = (200, {}, DATA)
    path = fetch(wanted(), network=site.network())
    path.write_bytes(DATA[:-1] + b"x")
    assert fetch(wanted(), network=site.network()).read_bytes() == DATA and len(site.asked) == 2


def test_a_file_that_was_swapped_after_review_is_refused(site, home):
    site.answers["/p.parquet"] = (200, {}, DATA[:-1] + b"x")
    with pytest.raises(SubmissionError, match=r"HB144 .*SHA-256 .*\n.*replaced after it was"):
        fetch(wanted(), network=site.network())
    assert nothing_is_left(home)


LYING = {
    "more than it says": (
        {"Content-Length": str(len(DATA))},
        DATA + b"more",
        "HB144|SHA-256|bytes",
    ),
    "another size": ({}, DATA + b"more", "HB144 .*has 512,004 bytes, submission.yaml says 512,000"),
    "no size, more bytes": ({"Content-Length": None}, DATA + b"x" * 10**6, "HB144 .*more than"),
    "no size, fewer bytes": ({"Content-Length": None}, DATA[:1000], "HB144 .*ends after 1,000"),
    "fewer than it says": ({"Content-Length": str(len(DATA))}, DATA[:1000], "HB144 .*ends after"),
    "packed": ({"Content-Encoding": "gzip"}, DATA, "HB143 .*sent packed"),
}


@pytest.mark.parametrize("how", [name for name in LYING if name != "more than it says"])
def test_sizes_that_lie_are_noticed(site, home, how):
    headers, body, said = LYING[how]
    site.answers["/p.parquet"] = (200, headers, body)
    with pytest.raises(SubmissionError, match=said):
        fetch(wanted(), network=site.network())
    assert nothing_is_left(home)


def test_what_follows_the_announced_bytes_is_not_read(site, home):
    headers, body, _ = LYING["more than it says"]
    site.answers["/p.parquet"] = (200, headers, body)
    assert fetch(wanted(), network=site.network()).read_bytes() == DATA


def test_no_more_than_the_described_size_is_ever_read(site, home):
    endless = b"x" * 50_000_000
    site.answers["/p.parquet"] = (200, {"Content-Length": None}, endless)
    seen = []
    with pytest.raises(SubmissionError, match=r"HB144 .*more than the 512,000 bytes"):
        fetch(wanted(), network=site.network(), progress=lambda *a: seen.append(a[1]))
    assert max(seen) <= len(DATA)


def test_a_size_that_no_disk_has_is_refused_before_the_network(site, home):
    with pytest.raises(SubmissionError, match=r"HB143 .*are free under"):
        fetch(wanted(size=10**18), network=site.network())
    assert not site.asked


PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "2001:db8::1", "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "nonsense", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_refused(address, site, home):
    assert not is_public(address)
    site.addresses["evil.example"] = [address]
    with pytest.raises(SubmissionError, match=r"HB143 .*which is not public"):
        fetch(wanted(url="https://evil.example/p"), network=site.network())
    assert not site.reached


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address):
    assert is_public(address)


def test_one_private_address_among_public_ones_is_enough(site, home):
    site.addresses["mixed.example"] = [PUBLIC, "127.0.0.1"]
    with pytest.raises(SubmissionError, match=r"HB143 .*127.0.0.1, which is not public"):
        fetch(wanted(url="https://mixed.example/p"), network=site.network())


def test_the_address_that_was_checked_is_the_one_that_is_reached(site, home):
    site.answers["/p.parquet"] = (200, {}, DATA)
    given = iter([[PUBLIC], ["127.0.0.1"]])  # a name that points elsewhere the second time
    network = site.network()
    network = Network(**{**vars(network), "look_up": lambda host, port: next(given)})
    fetch(wanted(), network=network)
    assert site.reached == [(PUBLIC, 443)]


def test_another_address_is_tried_where_one_does_not_answer(site, home):
    site.answers["/p.parquet"] = (200, {}, DATA)
    site.addresses["example.org"] = ["2606:4700::1111", PUBLIC]
    network = site.network()

    def connect(address, port, timeout):
        if ":" in address:
            raise OSError(101, "Network is unreachable")
        return network.connect(address, port, timeout)

    fetch(wanted(), network=Network(**{**vars(network), "connect": connect}))
    assert site.reached == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://example.org/p", "ftp://example.org/p",
     "https://a:b@example.org/",
     "https://example.org:22/", "https://example.org:99999/", "https://", "//example.org/p", "",
     "https://exa mple.org/", "https://example.org/\r\nX: y", "gopher://example.org/",
     "/etc/passwd"],
)  # fmt: skip
def test_other_addresses_are_never_asked(url, site, home):
    with pytest.raises(SubmissionError, match=r"HB143"):
        fetch(wanted(url=url), network=site.network())
    assert not site.reached


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1", "[::1]"])
def test_names_of_this_machine_are_refused_by_the_system_itself(host, home):
    network = Network(connect=lambda *_: pytest.fail("connected"), tries=1)
    with pytest.raises(SubmissionError, match=r"HB143"):
        fetch(wanted(url=f"https://{host}/p"), network=network)


def to(location: str):
    return (302, {"Location": location}, b"")


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://example.org/p", "https://inside.example/p",
                 "https://127.0.0.1/p", "gopher://x/", "https://example.org:8080/"]
)  # fmt: skip
def test_redirects_are_checked_like_the_first_address(location, site, home):
    site.addresses |= {"inside.example": ["10.1.2.3"], "127.0.0.1": ["127.0.0.1"]}
    site.answers["/p.parquet"] = to(location)
    with pytest.raises(SubmissionError, match=r"HB143"):
        fetch(wanted(), network=site.network())
    assert len(site.reached) == 1


def test_a_redirect_to_a_public_address_is_followed(site, home):
    site.answers["/p.parquet"] = to("//cdn.example/real?signed=1")
    site.answers["/real?signed=1"] = (200, {}, DATA)
    fetch(wanted(), network=site.network())
    assert site.hosts == ["example.org", "cdn.example"]


def test_endless_redirects_end(site, home):
    site.answers["/p.parquet"] = to("/p.parquet")
    with pytest.raises(SubmissionError, match=r"HB143 .*redirected more than 5 times"):
        fetch(wanted(), network=site.network())


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(site, home):
    site.answers["/p.parquet"] = (503, {}, b"")
    with pytest.raises(SubmissionError, match=r"HB143 .*the server answers 503"):
        fetch(wanted(), network=site.network(tries=3))
    assert len(site.asked) == 3
    with pytest.raises(SubmissionError, match=r"HB143 .*the server answers 404"):
        fetch(wanted(url="https://example.org/gone"), network=site.network(tries=3))
    assert len(site.asked) == 4


def test_a_mirror_is_asked_where_the_address_has_died(site, home):
    site.answers["/mirror"] = (200, {}, DATA)
    path = fetch(wanted(), network=site.network(), mirrors=("https://hub.example/mirror",))
    assert path.read_bytes() == DATA
    assert fetching.cached(wanted().sha256) == path


def test_a_slow_server_is_given_up(site, home):
    site.answers["/p.parquet"] = (200, {}, DATA)
    with pytest.raises(SubmissionError, match=r"HB143 .*too slowly"):
        fetch(wanted(), network=site.network(longest=-1.0))


def test_a_server_that_says_nothing_is_given_up(home):
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    network = Network(
        look_up=lambda host, p: [PUBLIC], secure=lambda c, host: c, timeout=0.3, tries=1,
        connect=lambda a, p, t: socket.create_connection(("127.0.0.1", port), t),
    )  # fmt: skip
    begun = time.monotonic()
    with silent, pytest.raises(SubmissionError, match=r"HB143 .*cannot be read: timed out"):
        fetch(wanted(), network=network)
    assert time.monotonic() - begun < 20


def test_a_server_without_a_certificate_is_refused(site, home):
    network = Network(**{**vars(site.network()), "secure": fetching.secure})
    with pytest.raises(SubmissionError, match=r"HB143 .*cannot be read"):
        fetch(wanted(), network=network)
    assert not site.asked
