// Connects with something that is not accepted, and says how the SDK reports it.
'use strict';

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { args, ca, failed, main, say } = require('./script');

main(async () => {
  // A device whose clock is wrong makes tokens that are over.
  const now = Date.now;
  if (args.clockOffset) Date.now = () => now() + args.clockOffset * 1000;
  const client = Client.fromConnectionString(args.connectionString, Mqtt);
  await client.setOptions({ ca: ca() });
  try {
    await client.open();
    say({ connected: true });
  } catch (error) {
    failed(error);
  }
});
