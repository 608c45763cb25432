// What a worker of graphile-worker does and records, as `recorder.py` does.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { Logger, run, runMigrations } = require("graphile-worker");
const { Pool } = require("pg");

const FLUSH_MS = 20;
// What its own performance test uses.
const CONCURRENT_JOBS = 24;
const PRESET = {
  worker: {
    concurrentJobs: CONCURRENT_JOBS,
    preparedStatements: true,
    localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    logger: new Logger(() => () => {}),
  },
};
const DOES_INSERT = process.env.BENCH_HANDLER === "orm";
const folder = process.env.BENCH_DIR;
let count = 0;

async function deliver([subscriber, number], { query }) {
  count += 1;
  if (DOES_INSERT) {
    const sql = "INSERT INTO bench_effect (number, subscriber) VALUES ($1, $2)";
    await query(sql, [number, subscriber]);
  }
}

function record() {
  const done = path.join(folder, `done-${process.pid}`);
  let written = 0;
  setInterval(() => {
    if (count !== written) {
      written = count;
      fs.appendFileSync(done, `${Date.now() / 1000} ${written}\n`);
    }
  }, FLUSH_MS);
}

async function work() {
  const pgPool = new Pool({ max: CONCURRENT_JOBS + 1 });
  record();
  await run({ preset: PRESET, pgPool, taskList: { deliver } });
  fs.writeFileSync(path.join(folder, `ready-${process.pid}`), `${Date.now() / 1000}`);
}

async function prepare() {
  const pgPool = new Pool();
  await runMigrations({ preset: PRESET, pgPool });
  await pgPool.end();
}

(process.argv[2] === "prepare" ? prepare : work)();
