// Connects and does not come back when its connection is taken from it.
'use strict';

const { NoRetry } = require('azure-iot-common');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { args, ca, main, say } = require('./script');

main(async () => {
  const client = Client.fromConnectionString(args.connectionString, Mqtt);
  await client.setOptions({ ca: ca() });
  client.setRetryPolicy(new NoRetry());
  const taken = new Promise((resolve) => client.on('disconnect', resolve));
  await client.open();
  say({ ready: true });
  await taken;
  say({ taken: true });
});
