"""Streams tag changes with Microsoft's Python SDK until it is ended: the fields of the agent's Narrow format, many messages
in flight, nothing kept on disk, nothing read from anywhere."""

import asyncio
import itertools
import json
import os
import time

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient

ARGUMENTS = json.loads(os.environ["LANYARD_PEER"])
TAGS = ARGUMENTS["tags"]
NAMES = [f"Channel1.Device1.Tag{number}" for number in range(TAGS)]


def changes():
    value = 0
    while True:
        for name in NAMES:
            yield name, value
        value += 1


def message(source, count):
    timestamp = int(time.time() * 1000)
    values = [{"id": name, "v": value, "q": True, "t": timestamp} for name, value in itertools.islice(source, count)]
    body = json.dumps({"timestamp": timestamp, "values": values}, separators=(",", ":"))
    return Message(body, content_encoding="utf-8", content_type="application/json")


async def send(client, source):
    while True:
        await client.send_message(message(source, ARGUMENTS["eventsPerMessage"]))


async def main():
    with open(ARGUMENTS["ca"], encoding="ascii") as file:
        ca = file.read()
    client = IoTHubDeviceClient.create_from_connection_string(
        ARGUMENTS["connectionString"], server_verification_cert=ca
    )
    await client.connect()
    source = changes()
    await asyncio.gather(*(send(client, source) for _ in range(ARGUMENTS["inFlight"])))


asyncio.run(main())
