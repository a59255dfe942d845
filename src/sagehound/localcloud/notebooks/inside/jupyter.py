"""JupyterLab of a notebook instance: on loopback, opened by one-time links only, each link a session of its length."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from . import links, state

USER = "ec2-user"
REFUSED = (
    "<!doctype html><title>This link cannot be used</title><p>A link into a notebook instance can be used once, within "
    "five minutes, and the session that it opens ends. Ask for another one: <code>sagehound notebook</code>, or "
    "CreatePresignedNotebookInstanceUrl."
)


def main(arguments: list[str]) -> int:
    """Serve the folder `arguments[1]` until SIGTERM; the state of the instance lies in the folder `arguments[0]`."""
    try:
        import ipykernel  # noqa: F401 - without it JupyterLab starts, and no notebook runs
        from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]
    except ImportError as error:
        print(f"JupyterLab is not installed in this Python: {error}", flush=True)
        return state.MISSING
    folder = Path(arguments[0])
    port_file = folder / state.PORT_FILE
    before = (port_file.read_text() if port_file.exists() else "") or "0"
    server = LabApp.initialize_server(
        argv=[
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={before}",  # where it was before, so that an open page finds it again
            f"--ServerApp.root_dir={arguments[1]}",
            "--no-browser",
            "--ServerApp.allow_root=True",
            "--ServerApp.quit_button=False",
            "--ServerApp.allow_unauthenticated_access=False",
            # A kernel's ports are open to the whole machine: nobody else is to read there what its cells print.
            "--MappingKernelManager.transport_encryption=auto",
            "--LabApp.extension_manager=readonly",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        ],
        identity_provider_class=_provider(folder),
    )
    # JupyterLab has looked for a free port, and takes it in a callback before this one: until then it may be anyone's,
    # and links would lead there.
    server.io_loop.add_callback(lambda: port_file.write_text(str(server.port)))
    server.start()
    return 0


def _provider(folder: Path) -> Any:
    """The class that says who somebody is: nobody, unless a link has opened a session that still lasts."""
    from jupyter_server.auth.decorator import allow_unauthenticated
    from jupyter_server.auth.identity import IdentityProvider, User
    from jupyter_server.base.handlers import JupyterHandler

    class LinkHandler(JupyterHandler):
        """/login?authToken=TOKEN: the token is exchanged for a cookie, once."""

        @allow_unauthenticated
        def get(self) -> None:
            token = self.get_argument("authToken", "")
            if token:
                key = (folder / state.KEY_FILE).read_bytes()
                seconds = links.redeem(key, folder / state.USED_FOLDER, time.time(), token)
                if seconds is not None:
                    sessions: Any = self.identity_provider
                    sessions.open_session(self, seconds)
                    self.redirect(self.base_url + "lab")
                    return
            elif self.current_user:
                self.redirect(self.base_url + "lab")
                return
            self.set_status(403)
            self.finish(REFUSED)

    class Sessions(IdentityProvider):
        """Sessions are cookies, signed by the server, that say until when they last."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "login_handler_class": LinkHandler, "token": ""})

        def open_session(self, handler: Any, seconds: int) -> None:
            value = json.dumps({"until": time.time() + seconds})
            handler.set_secure_cookie(
                self.get_cookie_name(handler),
                value,
                expires_days=seconds / 86_400,
                httponly=True,
                samesite="Lax",
                path=handler.base_url,
            )

        def user_from_cookie(self, cookie_value: str) -> Any:
            return User(USER, USER, USER) if time.time() < json.loads(cookie_value)["until"] else None

        async def get_user_token(self, handler: Any) -> None:
            """No token opens anything but /login."""

    return Sessions
