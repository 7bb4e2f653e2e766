// graphile-worker under the work of `posthaste bench queue`: jobs of 1 KiB that do nothing, put in by as many callers at
// once, then drained by one worker with the settings that its manual names for throughput. One line of JSON.
//
//   node bench.js postgres://… JOBS IN_FLIGHT
//
// The schema `graphile_worker` of that database is emptied.
'use strict';
const { run, makeWorkerUtils, Logger } = require('graphile-worker');
const { Pool } = require('pg');

const [url, jobsText, inFlightText] = process.argv.slice(2);
const jobs = Number(jobsText);
const inFlight = Number(inFlightText);
const logger = new Logger(() => () => {});
const percentile = (sorted, percent) => sorted[Math.floor(((sorted.length - 1) * percent) / 100)];

async function enqueue(utils) {
  const payload = { filler: 'x'.repeat(1000) };
  const calls = [];
  let left = jobs;
  const caller = async () => {
    while (left-- > 0) {
      const called = performance.now();
      await utils.addJob('no_op', payload);
      calls.push(performance.now() - called);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: inFlight }, caller));
  const took = performance.now() - began;
  calls.sort((a, b) => a - b);
  return { took, calls };
}

async function drain(pool) {
  let left = jobs;
  let all;
  const drained = new Promise((resolve) => (all = resolve));
  const began = performance.now();
  const runner = await run({
    pgPool: pool,
    logger,
    noHandleSignals: true,
    concurrency: 64,
    taskList: { no_op: async () => {} },
    preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
  });
  runner.events.on('job:success', () => {
    if (--left === 0) all(performance.now() - began);
  });
  const took = await drained;
  await runner.stop();
  return took;
}

(async () => {
  const pool = new Pool({ connectionString: url, max: 16 });
  const utils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  await pool.query('TRUNCATE graphile_worker._private_jobs');
  const { took, calls } = await enqueue(utils);
  const drained = await drain(pool);
  const rate = (ms) => Math.round((jobs / ms) * 1000);
  console.log(
    JSON.stringify({
      peer: 'graphile-worker',
      jobs,
      in_flight: inFlight,
      enqueue_per_s: rate(took),
      enqueue_p50_ms: percentile(calls, 50),
      enqueue_p99_ms: percentile(calls, 99),
      drain_per_s: rate(drained),
    }),
  );
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
