// Connects by connection string and sends the messages it is told to.
'use strict';

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { args, ca, main, message, say } = require('./script');

main(async () => {
  const client = Client.fromConnectionString(args.connectionString, Mqtt);
  await client.setOptions({ ca: ca() });
  await client.open();
  for (const wanted of args.messages) await client.sendEvent(message(wanted));
  await client.close();
  say({ sent: args.messages.length });
});
