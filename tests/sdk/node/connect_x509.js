// Connects with a certificate, straight to the hub, and sends; or says how the SDK reports that it is refused.
'use strict';

const { NoRetry } = require('azure-iot-common');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { args, ca, certificate, failed, main, message, say } = require('./script');

main(async () => {
  const text = `HostName=${args.hub};DeviceId=${args.deviceId};x509=true`;
  const client = Client.fromConnectionString(text, Mqtt);
  client.setRetryPolicy(new NoRetry());
  await client.setOptions({ ca: ca(), ...certificate() });
  try {
    await client.open();
  } catch (error) {
    return failed(error);
  }
  for (const wanted of args.messages) await client.sendEvent(message(wanted));
  await client.close();
  say({ sent: args.messages.length });
});
