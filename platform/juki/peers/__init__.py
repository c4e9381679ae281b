"""模擬接続先: stand-ins for the systems around the register, for tests, demonstrations and vendors. No slice imports them."""

from juki.peers.incumbent import Extract, generate

__all__ = ["Extract", "generate"]
