"""Connects by connection string and sends the messages it is told to."""

from azure.iot.device import IoTHubDeviceClient

from script import ARGUMENTS, ca, message, say

client = IoTHubDeviceClient.create_from_connection_string(ARGUMENTS["connectionString"], server_verification_cert=ca())
client.connect()
for wanted in ARGUMENTS["messages"]:
    client.send_message(message(wanted))
client.shutdown()
say(sent=len(ARGUMENTS["messages"]))
