import { runFaults } from './run-faults.ts';

/** `npm run test:fault`: `-- --short` for the minute that `npm test` runs, `-- --seed N` for a run that was. */
const say = (line: string) => void process.stdout.write(`${line}\n`);
const args = process.argv.slice(2);
const known = args.every(
  (arg, n) => arg === '--short' || arg === '--seed' || (args[n - 1] === '--seed' && /^\d+$/.test(arg)),
);
const given = args.indexOf('--seed');
if (!known || (given >= 0 && args[given + 1] === undefined)) {
  say('usage: npm run test:fault -- [--short] [--seed N]');
  process.exit(2);
}
const seed = given >= 0 ? Number(args[given + 1]) : Math.floor(Math.random() * 1e9);
say(`seed ${seed}`);
const outcome = await runFaults({ form: args.includes('--short') ? 'short' : 'full', seed, say });
if (outcome === null) {
  say('the fault test needs Kafka and S3: see infra/README.md for what can bring them');
  process.exitCode = 2;
} else {
  say('');
  for (const line of outcome.summary) say(line);
  const most = 40;
  for (const line of outcome.wrong.slice(0, most)) say(`WRONG  ${line}`);
  if (outcome.wrong.length > most) say(`WRONG  and ${outcome.wrong.length - most} more`);
  say(
    outcome.wrong.length === 0
      ? 'nothing was lost, and nothing said twice'
      : `${outcome.wrong.length} things are wrong (seed ${seed})`,
  );
  process.exitCode = outcome.wrong.length === 0 ? 0 : 1;
}
