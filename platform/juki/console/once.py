"""二重送信: the same page sent twice is carried out once, and both answers lead to the same place."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from juki.console.form import Form

_KEPT: Final = 10_000


def page_key(session_id: str, form: Form) -> str:
    """One page of one session as it was filled in; empty where the page carries no number.

    Gone back to, corrected and sent again it is another page: what was corrected must not be answered with what was done.
    """
    number = form.text("form_key")
    content = hashlib.sha256(msgspec.json.encode(sorted(form.carried()))).hexdigest()
    return f"{session_id} {number} {content}" if number else ""


class Once:
    """Results by the page's own number, for this process; what failed may be tried again."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._done: OrderedDict[str, asyncio.Future[int]] = OrderedDict()
        self._kept = kept

    async def run(self, key: str, act: Callable[[], Awaitable[int]]) -> int:
        """Carry `act` out unless a page with this key already did or is about to; its number either way.

        A page without a number of its own (an empty key) cannot be told from another, so it is always carried out.
        """
        if not key:
            return await act()
        known = self._done.get(key)
        if known is not None:
            return await asyncio.shield(known)
        result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._done[key] = result
        while len(self._done) > self._kept:
            self._done.popitem(last=False)
        try:
            number = await act()
        except BaseException as error:
            self._done.pop(key, None)
            result.cancel() if isinstance(error, asyncio.CancelledError) else result.set_exception(error)
            result.exception() if not result.cancelled() else None
            raise
        result.set_result(number)
        return number
