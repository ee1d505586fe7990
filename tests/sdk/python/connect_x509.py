"""Connects with a certificate, straight to the hub, and sends; or says how the SDK reports that it is refused."""

from azure.iot.device import IoTHubDeviceClient, X509

from script import ARGUMENTS, ca, message, say

client = IoTHubDeviceClient.create_from_x509_certificate(
    x509=X509(ARGUMENTS["certificate"], ARGUMENTS["key"]),
    hostname=ARGUMENTS["hub"],
    device_id=ARGUMENTS["deviceId"],
    gateway_hostname=ARGUMENTS["host"],
    server_verification_cert=ca(),
)
try:
    client.connect()
    for wanted in ARGUMENTS["messages"]:
        client.send_message(message(wanted))
    say(sent=len(ARGUMENTS["messages"]))
except Exception as error:
    say(error=type(error).__name__, text=str(error), cause=str(error.__cause__))
finally:
    client.shutdown()
