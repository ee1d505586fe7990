// What every script needs: its arguments, the emulator's CA, and one line of JSON for an answer.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const { Message } = require('azure-iot-device');

const args = JSON.parse(process.env.LANYARD_SDK);

exports.args = args;

exports.ca = () => fs.readFileSync(args.ca, 'ascii');

// The files of a Secret of type kubernetes.io/tls, as they are.
exports.certificate = () => ({
  cert: fs.readFileSync(args.certificate, 'ascii'),
  key: fs.readFileSync(args.key, 'ascii'),
});

exports.say = (values) => console.log(JSON.stringify(values));

// As Microsoft's samples for enrollment groups do it.
exports.derivedKey = (groupKey, registrationId) =>
  crypto.createHmac('SHA256', Buffer.from(groupKey, 'base64')).update(registrationId, 'utf8').digest('base64');

exports.message = (wanted) => {
  const made = new Message(wanted.body);
  if (wanted.messageId) made.messageId = wanted.messageId;
  if (wanted.correlationId) made.correlationId = wanted.correlationId;
  if (wanted.contentType) made.contentType = wanted.contentType;
  if (wanted.contentEncoding) made.contentEncoding = wanted.contentEncoding;
  for (const [key, value] of Object.entries(wanted.properties || {})) made.properties.add(key, value);
  return made;
};

// The SDK wraps errors; the outermost one is what an application sees.
exports.failed = (error) => exports.say({ error: error.constructor.name, text: error.message });

exports.main = (run) =>
  run().then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
