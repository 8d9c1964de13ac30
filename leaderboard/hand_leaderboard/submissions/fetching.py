"""Downloads predictions of strangers: https from public addresses, the described bytes or nothing.

The address of a host is looked up once, checked, and connected to as it was checked, so that a
name cannot point elsewhere a moment later; the same for every redirect. Bytes are counted and
hashed while they come in, and more than the description says are never read. What was downloaded
is kept under the data folder by its hash. Proxies and netrc files of the environment are not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from hand_bench import files
from hand_bench.data import quiet
from hand_bench.errors import Problem, SubmissionError
from hand_bench.version import __version__
from hand_leaderboard.submissions.meta import PredictionsFile
from hand_leaderboard.submissions.texts import url_fault

PORT = 443
REDIRECTS = 5
CHUNK = 1 << 18
#: Space that stays free on the disk, bytes.
SPARE = 1 << 30
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Progress = Callable[[str, int, int], None]


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system gives them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def connect(address: str, port: int, timeout: float) -> socket.socket:
    """Open a connection to an address."""
    return socket.create_connection((address, port), timeout)


def secure(connection: socket.socket, host: str) -> socket.socket:
    """Speak TLS with a host whose certificate is checked."""
    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


@dataclass(frozen=True)
class Network:
    """How hosts are found and reached, and how long is waited, in seconds."""

    look_up: Callable[[str, int], list[str]] = look_up
    connect: Callable[[str, int, float], socket.socket] = connect
    secure: Callable[[socket.socket, str], socket.socket] = secure
    timeout: float = 30.0
    longest: float = 3_600.0
    pause: float = 2.0
    tries: int = 3


def is_public(address: str) -> bool:
    """Whether an address is on the public internet, also behind the forms that embed another."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found.teredo is not None:
            inner = found.teredo[1]
        if inner is None and found in _NAT64:
            inner = ipaddress.ip_address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
        if found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def fetch(
    wanted: PredictionsFile, *, network: Network | None = None, mirrors: tuple[str, ...] = (),
    progress: Progress = quiet,
) -> Path:  # fmt: skip
    """Return a file with exactly the described bytes, from the cache or from its URL.

    Parameters
    ----------
    wanted
        URL, SHA-256 and size.
    network
        How the network is reached.
    mirrors
        Other URLs of the same bytes, tried when the first one fails.
    progress
        Called with (what, done, total) in bytes.

    Raises
    ------
    SubmissionError
        HB143 where the URL is not allowed or cannot be read, HB144 where its bytes are others.
    """
    path = cached(wanted.sha256)
    if path.is_file():
        if path.stat().st_size == wanted.size and files.sha256(path) == wanted.sha256:
            return path
        path.unlink()
    _require_room(path, wanted.size)
    network = network or Network()
    problems: list[Problem] = []
    for url in (wanted.url, *mirrors):
        try:
            _fetch_to(path, url, wanted, network, progress)
            return path
        except SubmissionError as error:
            problems += error.problems
    raise SubmissionError(problems)


def cached(sha256: str) -> Path:
    """Return where downloaded predictions are kept."""
    return files.home() / "submitted" / f"{sha256}.parquet"


def _require_room(path: Path, size: int) -> None:
    folder = next(p for p in path.parents if p.exists())
    free = shutil.disk_usage(folder).free
    if size + SPARE > free:
        what = f"has {size:,} bytes; {free:,} are free under {folder}."
        raise SubmissionError(Problem("HB143", "predictions", what, fix="Make room."))


def _fetch_to(
    path: Path, url: str, wanted: PredictionsFile, network: Network, progress: Progress
) -> None:
    for left in reversed(range(network.tries)):
        try:
            with files.replacing(path) as temporary:
                _download(url, wanted, temporary, network, progress)
            return
        except _Busy as error:
            if not left:
                raise _refused(url, f"cannot be read: {str(error)[:160]}") from None
            time.sleep(network.pause)


class _Busy(Exception):
    """A server or a network that may answer when it is asked again."""


@contextlib.contextmanager
def _over_the_network() -> Iterator[None]:
    """Tell faults of the network from those of this machine's disk."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise _Busy(str(error) or type(error).__name__) from error


def _download(
    url: str, wanted: PredictionsFile, temporary: Path, network: Network, progress: Progress
) -> None:
    end = time.monotonic() + network.longest
    for _ in range(REDIRECTS + 1):
        with _over_the_network():
            link, answer = _ask(url, network)
        try:
            if answer.status in (301, 302, 303, 307, 308):
                url = urljoin(url, answer.headers.get("Location", ""))
                continue
            if answer.status in (408, 429) or answer.status >= 500:
                raise _Busy(f"the server answers {answer.status}")
            if answer.status != 200:
                raise _refused(url, f"is not there: the server answers {answer.status}")
            _read(answer, url, wanted, temporary, end, progress)
            return
        finally:
            link.close()
    raise _refused(url, f"is redirected more than {REDIRECTS} times")


def _ask(url: str, network: Network) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Send a request to a checked address, and to no other."""
    why = url_fault(url, https=True)
    if why:
        raise _refused(url, why)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if (parts.port or PORT) != PORT:
        raise _refused(url, f"names port {parts.port}; only {PORT} is read")
    try:
        addresses = network.look_up(host, PORT)
    except (OSError, UnicodeError) as error:
        raise _refused(url, f"has a host that cannot be found ({error})") from None
    bad = [a for a in addresses if not is_public(a)]
    if bad or not addresses:
        raise _refused(url, f"leads to {', '.join(bad) or 'no address'}, which is not public")
    link = http.client.HTTPSConnection(host, PORT, timeout=network.timeout)
    opened = _connected(addresses, network)
    try:
        link.sock = network.secure(opened, host)
        target = parts.path or "/"
        link.request("GET", target + (f"?{parts.query}" if parts.query else ""), headers={
            "Accept-Encoding": "identity",
            "User-Agent": f"hand-bench/{__version__}",
        })  # fmt: skip
        return link, link.getresponse()
    except BaseException:
        opened.close()
        link.close()
        raise


def _connected(addresses: list[str], network: Network) -> socket.socket:
    """Connect to the first address that answers; a machine may have no IPv6."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return network.connect(address, PORT, network.timeout)
    return network.connect(addresses[-1], PORT, network.timeout)


def _read(
    answer: http.client.HTTPResponse, url: str, wanted: PredictionsFile, temporary: Path,
    end: float, progress: Progress,
) -> None:  # fmt: skip
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise _refused(url, "is sent packed, which was not asked for")
    length = answer.headers.get("Content-Length")
    if length is not None and length.isdigit() and int(length) != wanted.size:
        raise _other(url, f"has {int(length):,} bytes, submission.yaml says {wanted.size:,}")
    digest, done = hashlib.sha256(), 0
    with temporary.open("wb") as stream:
        while data := _chunk(answer, wanted.size - done + 1):
            done += len(data)
            if done > wanted.size:
                raise _other(url, f"has more than the {wanted.size:,} bytes of submission.yaml")
            if time.monotonic() > end:
                raise _refused(url, "comes too slowly")
            digest.update(data)
            stream.write(data)
            progress("downloading", done, wanted.size)
    if done != wanted.size:
        raise _other(url, f"ends after {done:,} of the {wanted.size:,} bytes of submission.yaml")
    if digest.hexdigest() != wanted.sha256:
        raise _other(url, f"has SHA-256 {digest.hexdigest()[:12]}..., submission.yaml says "
                     f"{wanted.sha256[:12]}...")  # fmt: skip


def _chunk(answer: http.client.HTTPResponse, most: int) -> bytes:
    with _over_the_network():
        return answer.read(min(CHUNK, most))


def _refused(url: str, what: str) -> SubmissionError:
    return SubmissionError(Problem("HB143", ascii(url)[1:-1][:160], f"{what}."))


def _other(url: str, what: str) -> SubmissionError:
    cause = "Was the file replaced after it was described?"
    fix = "Put the described file back, or submit the new one: `hand-bench submit`."
    return SubmissionError(Problem("HB144", ascii(url)[1:-1][:160], f"{what}.", cause, fix))
