// Loses its connection half way, comes back by itself, and goes on sending.
'use strict';

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { args, ca, main, message, say } = require('./script');

main(async () => {
  const client = Client.fromConnectionString(args.connectionString, Mqtt);
  await client.setOptions({ ca: ca() });
  client.on('message', () => {});
  await client.open();
  await client.sendEvent(message(args.messages[0]));
  const back = new Promise((resolve) => {
    let connects = 0;
    client.on('connect', () => ++connects && resolve());
  });
  say({ ready: true });
  await back;
  for (const wanted of args.messages.slice(1)) await client.sendEvent(message(wanted));
  await client.close();
  say({ sent: args.messages.length });
});
