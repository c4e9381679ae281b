"""Steps 2 and 3: the incumbent's extracts, and their way into the register, dry run first, killed once, balanced at the end."""

from __future__ import annotations

import json

from story.provision import FILES
from story.world import HIRONO, IWAKI, World, proved

SEED = {IWAKI: "72044", HIRONO: "75418"}


def generate(world: World) -> dict[str, object]:
    """A synthetic extract per municipality, in each incumbent's own layout, with planted faults and their truth."""
    made: dict[str, object] = {}
    world.shared["extracts"] = {}
    for code, file in FILES.items():
        folder = world.home / "extracts" / code
        told = world.juki(
            "legacy", "generate", "--tenant", file, "--residents", str(world.residents), "--seed", SEED[code],
            "--out", str(folder), "--json", progress=True,
        ).json  # fmt: skip
        world.shared["extracts"][code] = folder
        faults = json.loads((folder / "faults.json").read_text())
        proved(faults, f"{code}: faults are planted")
        made[code] = told
    return {"proved": "二つの様式の抽出データを、混ぜた誤りの一覧とともに作りました", "extracts": made}
