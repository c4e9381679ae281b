"""The end of the story told to a person: the staff console stays, with everything needed to log in."""

from __future__ import annotations

import signal

from story.world import HIRONO, IWAKI, World, proved

DUTIES = "窓口 / 照合 / 係長 / 管理者 / 所属長・監査"


def leave_running(world: World) -> None:
    """Print how to log in and wait for Ctrl-C."""
    service = world.children.get("serve")
    proved(service is not None and service.poll() is None, "the console is running")
    secrets = world.shared["secrets"][IWAKI]
    print(f"\n職員コンソール: {world.url}/{IWAKI}/login  (いわき市、架空の住民{world.residents:,}人)")
    print(f"第二の市町村 ({HIRONO}) は利用を終え、データは消去されました。証明書: {world.out}")
    print("\n1. 端末の登録 (ブラウザごとに一度): " + f"{world.url}/{IWAKI}/terminal")
    for terminal in secrets["terminals"]:
        if terminal["id"] not in world.shared.get("used_terminals", set()):
            print(f"   {terminal['id']:12} {terminal['enrol_code']}   {terminal['place']}")
    print("\n2. ログイン")
    print(f"   {'ログイン名':12} {'パスワード':24} ワンタイムコード")
    for person in secrets["operators"]:
        duties = "・".join(person["duties"])
        print(f"   {person['login']:14} {person['password']:24} echo {person['otp_secret']} | scripts/otp   ({duties})")
    print("\n一度使ったワンタイムコードは使えません。30秒待つと次のコードになります。")
    print("終了するには Ctrl-C を押してください。", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\n停止します。")
