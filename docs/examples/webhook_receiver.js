// A service that receives webhooks, with Node.js's own library alone.
//
//     WEBHOOK_SECRETS=whsec_… node webhook_receiver.js
//
// It needs Node.js ≥ 22.13, which has SQLite.
//
// Environment:
//     WEBHOOK_SECRETS   the signing secret of the subscriber; several, space separated,
//                       while one takes the place of another
//     DATABASE          file of what was received (default: webhook_receiver.sqlite3)
//     HOST, PORT        where it listens (default: 127.0.0.1, 9100)

"use strict";

const crypto = require("node:crypto");
const http = require("node:http");
const { DatabaseSync } = sqlite();

const TOLERANCE_SECONDS = 5 * 60;
const MAX_BODY_BYTES = 2 * 1024 * 1024;
const TABLES = `
  CREATE TABLE IF NOT EXISTS seen (
    source TEXT, id TEXT, PRIMARY KEY (source, id)
  );
  CREATE TABLE IF NOT EXISTS received (type TEXT, subject TEXT);
`;

/** Node's own SQLite; ends where this Node.js has none. */
function sqlite() {
  try {
    return require("node:sqlite");
  } catch {
    console.error(`Node.js 22.13 or newer is needed: this is ${process.version}`);
    process.exit(1);
  }
}

/** The status of a request that is answered before any work. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Throws `Refused` unless these headers prove this body. */
function verify(secrets, headers, body) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!id || !/^[0-9]+$/.test(timestamp))
    throw new Refused(401, "webhook-id or webhook-timestamp is missing");
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS)
    throw new Refused(401, "webhook-timestamp is too far from now");
  const expected = secrets.map((secret) => signature(secret, id, timestamp, body));
  const given = (headers["webhook-signature"] ?? "").split(" ");
  if (!given.some((text) => expected.some((known) => isSame(text, known))))
    throw new Refused(401, "no webhook-signature fits");
}

function signature(secret, id, timestamp, body) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const mac = crypto.createHmac("sha256", key);
  mac.update(`${id}.${timestamp}.`).update(body);
  return Buffer.from(`v1,${mac.digest("base64")}`);
}

function isSame(text, expected) {
  const given = Buffer.from(text);
  // timingSafeEqual throws for another length.
  return given.length === expected.length && crypto.timingSafeEqual(given, expected);
}

/** The CloudEvent in that body. Throws `Refused`. */
function readEvent(body) {
  let event;
  try {
    event = JSON.parse(body);
  } catch {
    throw new Refused(400, "the body is not JSON");
  }
  for (const name of ["source", "id", "type"])
    if (typeof event?.[name] !== "string") throw new Refused(400, `no ${name}`);
  return event;
}

/**
 * Do the work once; returns whether this was the first time.
 *
 * The event is remembered in the transaction of the work: both happen, or neither.
 */
function receive(database, event) {
  const known = "INSERT OR IGNORE INTO seen VALUES (?, ?)";
  database.exec("BEGIN IMMEDIATE");
  try {
    const { changes } = database.prepare(known).run(event.source, event.id);
    if (changes === 1) work(database, event);
    database.exec("COMMIT");
    return changes === 1;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

/** Here goes what this service is for. */
function work(database, event) {
  const add = "INSERT INTO received VALUES (?, ?)";
  database.prepare(add).run(event.type, event.subject ?? "");
}

/** The raw bytes: written anew, the same JSON has another signature. */
async function readBody(request) {
  if (request.method !== "POST") throw new Refused(405, "use POST");
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new Refused(413, "the body is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The status is all that the router looks at: unless it is 2xx, it sends again. */
async function answer(request, response, secrets, database) {
  try {
    const body = await readBody(request);
    verify(secrets, request.headers, body);
    const event = readEvent(body);
    const isFirst = receive(database, event);
    console.log(event.id, isFirst ? "done" : "known already");
    response.writeHead(204).end();
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    // What is left of a body that was not read ends with the connection.
    response.writeHead(error.status ?? 500, { connection: "close" });
    response.end(error instanceof Refused ? error.message : "");
  }
}

function main() {
  const secrets = (process.env.WEBHOOK_SECRETS ?? "").split(" ").filter(Boolean);
  if (secrets.length === 0) {
    console.error("Set WEBHOOK_SECRETS to the secret of the subscriber: whsec_…");
    process.exit(1);
  }
  const database = new DatabaseSync(
    process.env.DATABASE ?? "webhook_receiver.sqlite3",
  );
  database.exec(TABLES);
  const timeouts = { headersTimeout: 10_000, requestTimeout: 10_000 };
  const server = http.createServer(timeouts, (request, response) =>
    answer(request, response, secrets, database),
  );
  const host = process.env.HOST ?? "127.0.0.1";
  server.listen(Number(process.env.PORT ?? 9100), host, () =>
    console.log(`Listening on http://${host}:${server.address().port}`),
  );
  for (const signal of ["SIGTERM", "SIGINT"])
    // What is under way is finished.
    process.once(signal, () => server.close(() => console.log("Stopped")));
}

main();
