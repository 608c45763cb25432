// Reads cases {secret, body, headers} as JSON; writes whether each verifies, as JSON.
const { Webhook } = require("standardwebhooks");

const cases = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

function verifies({ secret, body, headers }) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

process.stdout.write(JSON.stringify(cases.map(verifies)));
