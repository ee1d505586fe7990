// Registers through DPS with a certificate, connects to the assigned hub with the same one, and sends.
'use strict';

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Mqtt: DpsMqtt } = require('azure-iot-provisioning-device-mqtt');
const { X509Security } = require('azure-iot-security-x509');
const { args, ca, certificate, failed, main, message, say } = require('./script');

main(async () => {
  const security = new X509Security(args.registrationId, certificate());
  const dps = ProvisioningDeviceClient.create(args.host, args.idScope, new DpsMqtt(), security);
  let state;
  try {
    state = await dps.register();
  } catch (error) {
    return failed(error);
  }
  const text = `HostName=${state.assignedHub};DeviceId=${state.deviceId};x509=true`;
  const client = Client.fromConnectionString(text, Mqtt);
  await client.setOptions({ ca: ca(), ...certificate() });
  await client.open();
  for (const wanted of args.messages) await client.sendEvent(message(wanted));
  await client.close();
  say({ status: state.status, hub: state.assignedHub, deviceId: state.deviceId, substatus: state.substatus });
});
