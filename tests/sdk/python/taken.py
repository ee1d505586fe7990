"""Connects and does not come back when its connection is taken from it."""

from azure.iot.device import IoTHubDeviceClient

from script import ARGUMENTS, ca, say, wait_for

client = IoTHubDeviceClient.create_from_connection_string(
    ARGUMENTS["connectionString"], server_verification_cert=ca(), connection_retry=False
)
client.connect()
say(ready=True)
wait_for("the connection is taken", lambda: not client.connected)
client.shutdown()
say(taken=True)
