"""What every script needs: its arguments, the emulator's CA, and one line of JSON for an answer."""

import base64
import hashlib
import hmac
import json
import os
import time

ARGUMENTS = json.loads(os.environ["LANYARD_SDK"])


def ca():
    with open(ARGUMENTS["ca"], encoding="ascii") as file:
        return file.read()


def say(**values):
    print(json.dumps(values), flush=True)


def derived_key(group_key, registration_id):
    """As Microsoft's samples for enrollment groups do it."""
    digest = hmac.new(base64.b64decode(group_key), registration_id.encode("utf-8"), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def shift_clock():
    """A device whose clock is wrong makes tokens that are over, or not yet."""
    seconds, now = ARGUMENTS.get("clockOffset", 0), time.time
    if seconds:
        time.time = lambda: now() + seconds


def message(wanted):
    from azure.iot.device import Message

    made = Message(wanted["body"])
    made.message_id = wanted.get("messageId")
    made.correlation_id = wanted.get("correlationId")
    made.content_type = wanted.get("contentType")
    made.content_encoding = wanted.get("contentEncoding")
    made.custom_properties.update(wanted.get("properties", {}))
    return made


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)
