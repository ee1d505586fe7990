"""Connects with something that is not accepted, and says how the SDK reports it."""

from azure.iot.device import IoTHubDeviceClient

from script import ARGUMENTS, ca, say, shift_clock

shift_clock()
client = IoTHubDeviceClient.create_from_connection_string(ARGUMENTS["connectionString"], server_verification_cert=ca())
try:
    client.connect()
    say(connected=True)
except Exception as error:
    say(error=type(error).__name__, text=str(error), cause=str(error.__cause__))
finally:
    client.shutdown()
