// Streams tag changes with Microsoft's Node SDK until it is ended: the fields of the agent's Narrow format, many messages in
// flight, nothing kept on disk, nothing read from anywhere.
'use strict';

const fs = require('fs');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { connectionString, ca, tags, eventsPerMessage, inFlight } = JSON.parse(process.env.LANYARD_PEER);

const names = Array.from({ length: tags }, (_, number) => `Channel1.Device1.Tag${number}`);
let next = 0;
let value = 0;

function message() {
  const timestamp = Date.now();
  const values = [];
  for (let count = 0; count < eventsPerMessage; count += 1) {
    values.push({ id: names[next], v: value, q: true, t: timestamp });
    next += 1;
    if (next === tags) {
      next = 0;
      value += 1;
    }
  }
  const made = new Message(JSON.stringify({ timestamp, values }));
  made.contentType = 'application/json';
  made.contentEncoding = 'utf-8';
  return made;
}

const fail = (error) => {
  console.error(error);
  process.exit(1);
};

(async () => {
  const client = Client.fromConnectionString(connectionString, Mqtt);
  await client.setOptions({ ca: fs.readFileSync(ca, 'ascii') });
  await client.open();
  const send = () => client.sendEvent(message(), (error) => (error ? fail(error) : send()));
  for (let count = 0; count < inFlight; count += 1) send();
})().catch(fail);
