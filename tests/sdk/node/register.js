// Registers through DPS with a key derived from its group's, connects to the assigned hub and sends.
'use strict';

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Mqtt: DpsMqtt } = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { args, ca, derivedKey, failed, main, message, say } = require('./script');

main(async () => {
  const key = derivedKey(args.groupKey, args.registrationId);
  const security = new SymmetricKeySecurityClient(args.registrationId, key);
  const dps = ProvisioningDeviceClient.create(args.host, args.idScope, new DpsMqtt(), security);
  let state;
  try {
    state = await dps.register();
  } catch (error) {
    return failed(error);
  }
  const text = `HostName=${state.assignedHub};DeviceId=${state.deviceId};SharedAccessKey=${key};GatewayHostName=${args.host}`;
  const client = Client.fromConnectionString(text, Mqtt);
  await client.setOptions({ ca: ca() });
  await client.open();
  for (const wanted of args.messages) await client.sendEvent(message(wanted));
  await client.close();
  say({ status: state.status, hub: state.assignedHub, deviceId: state.deviceId, substatus: state.substatus });
});
