"""Loses its connection half way, comes back by itself, and goes on sending."""

import threading

from azure.iot.device import IoTHubDeviceClient

from script import ARGUMENTS, ca, message, say, wait_for

client = IoTHubDeviceClient.create_from_connection_string(ARGUMENTS["connectionString"], server_verification_cert=ca())
lost = threading.Event()


def changed():
    if not client.connected:
        lost.set()


client.on_connection_state_change = changed
client.on_message_received = lambda received: None
client.connect()
client.send_message(message(ARGUMENTS["messages"][0]))
say(ready=True)
wait_for("the connection is lost", lost.is_set)
wait_for("the connection is back", lambda: client.connected)
for wanted in ARGUMENTS["messages"][1:]:
    client.send_message(message(wanted))
client.shutdown()
say(sent=len(ARGUMENTS["messages"]))
