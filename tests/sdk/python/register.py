"""Registers through DPS with a key derived from its group's, connects to the assigned hub and sends."""

from azure.iot.device import IoTHubDeviceClient, ProvisioningDeviceClient

from script import ARGUMENTS, ca, derived_key, message, say

registration_id = ARGUMENTS["registrationId"]
key = derived_key(ARGUMENTS["groupKey"], registration_id)
dps = ProvisioningDeviceClient.create_from_symmetric_key(
    provisioning_host=ARGUMENTS["host"],
    registration_id=registration_id,
    id_scope=ARGUMENTS["idScope"],
    symmetric_key=key,
    server_verification_cert=ca(),
)
try:
    result = dps.register()
except Exception as error:
    say(error=type(error).__name__, text=str(error), cause=str(error.__cause__))
    raise SystemExit(0)
state = result.registration_state
device = IoTHubDeviceClient.create_from_symmetric_key(
    symmetric_key=key,
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
