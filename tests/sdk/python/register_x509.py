"""Registers through DPS with a certificate, connects to the assigned hub with the same one, and sends."""

from azure.iot.device import IoTHubDeviceClient, ProvisioningDeviceClient, X509

from script import ARGUMENTS, ca, message, say

x509 = X509(ARGUMENTS["certificate"], ARGUMENTS["key"])
dps = ProvisioningDeviceClient.create_from_x509_certificate(
    provisioning_host=ARGUMENTS["host"],
    registration_id=ARGUMENTS["registrationId"],
    id_scope=ARGUMENTS["idScope"],
    x509=x509,
    server_verification_cert=ca(),
)
try:
    result = dps.register()
except Exception as error:
    say(error=type(error).__name__, text=str(error), cause=str(error.__cause__))
    raise SystemExit(0)
state = result.registration_state
device = IoTHubDeviceClient.create_from_x509_certificate(
    x509=x509,
    hostname=state.assigned_hub,
    device_id=state.device_id,
    gateway_hostname=ARGUMENTS["host"],
    server_verification_cert=ca(),
)
device.connect()
for wanted in ARGUMENTS["messages"]:
    device.send_message(message(wanted))
device.shutdown()
say(status=result.status, hub=state.assigned_hub, deviceId=state.device_id, substatus=state.sub_status)
