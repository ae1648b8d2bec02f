"""``python -m pytest_finchaos.proxy.server --host 127.0.0.1 --port 8474 [--config FILE] [--seed N]``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import functools
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.proxy.server.api import VERSION, Api
from pytest_finchaos.proxy.server.config import load_file
from pytest_finchaos.proxy.server.http import HEAD_BYTES, serve_connection
from pytest_finchaos.proxy.server.proxies import Proxies


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; exit code 2 for wrong use or a busy port."""
    parser = argparse.ArgumentParser(prog="pytest_finchaos.proxy.server", description="Toxiproxy-compatible server.")
    parser.add_argument("--host", default="127.0.0.1", help="address of the API (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8474, help="port of the API; 0 takes a free one")
    parser.add_argument("--config", type=Path, help="JSON array of proxies, as for POST /populate")
    parser.add_argument("--seed", help="replays toxicity and jitter; drawn and printed when not given")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        parser.error(f"--port must lie between 0 and 65535, got {options.port}")
    seed = secrets.token_hex(8) if options.seed is None else options.seed
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(options.host, options.port, options.config, seed))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(host: str, port: int, config: Path | None, seed: str) -> None:
    proxies = Proxies(seed)
    if config is not None:
        _, error = await proxies.populate(load_file(config))
        if error is not None:
            raise UserError(str(config), error.text)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    handler = functools.partial(serve_connection, Api(proxies).answer)
    try:
        server = await asyncio.start_server(handler, host, port, limit=HEAD_BYTES)
    except OSError as error:
        cure = "--port 0 takes a free one" if error.errno == errno.EADDRINUSE else None
        raise UserError(f"--host {host} --port {port}", error.strerror or str(error), cure=cure) from None
    shown, real_port = server.sockets[0].getsockname()[:2]
    sys.stdout.write(f"finchaos toxiproxy {VERSION} listening on http://{shown}:{real_port} seed {seed}\n")
    sys.stdout.flush()
    await stopped.wait()
    server.close()
    for proxy in proxies.by_name.values():
        proxy.stop()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)  # sockets close on the next turn of the loop


if __name__ == "__main__":
    sys.exit(main())
