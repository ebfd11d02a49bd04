import { runDrill } from './run-drill.ts';

/** `npm run drill`; `-- --short` is the form that is part of `npm test`, `-- --laptop` leaves Kafka and S3 out. */
const say = (line: string) => void process.stdout.write(`${line}\n`);
const args = process.argv.slice(2);
if (args.some((arg) => !['--short', '--laptop'].includes(arg))) {
  say('usage: npm run drill -- [--short] [--laptop]');
  process.exit(2);
}
const { kind, report, wrong } = await runDrill({
  short: args.includes('--short'),
  onlyLaptop: args.includes('--laptop'),
  say,
});
say(`\nEvery upload of the outage, on the ${kind} set:`);
for (const line of report) say(`  ${line}`);
say('');
for (const line of wrong) say(`WRONG  ${line}`);
say(wrong.length === 0 ? 'the drill was passed' : `the drill failed: ${wrong.length} things are wrong`);
process.exitCode = wrong.length === 0 ? 0 : 1;
