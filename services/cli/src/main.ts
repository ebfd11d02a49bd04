import { RELEASE } from '@vigil/contracts/engine';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { fail, UsageError } from './output.ts';

const instance = [
  '-i, --instance <url>',
  'where Vigil runs (VIGIL_INSTANCE)',
  process.env.VIGIL_INSTANCE || 'http://127.0.0.1:8080',
] as const;

function positive(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n <= 0) throw new InvalidArgumentError('give a whole number above zero');
  return n;
}

const upTo = (most: number) => (text: string) => {
  const n = positive(text);
  if (n > most) throw new InvalidArgumentError(`give ${most} at most`);
  return n;
};

/** Commands are loaded when they are called: `--help` should not wait for decoders and databases. */
const remote = () => import('./commands/remote.ts');
const fleet = () => import('./commands/fleet.ts');

const program = new Command('vigil')
  .description("Finds copies of protected works among a platform's uploads and takes them down within seconds.")
  .version(RELEASE)
  .showHelpAfterError('(vigil --help tells what there is)')
  .exitOverride()
  .configureHelp({ sortSubcommands: false });

program
  .command('match')
  .description('compare files with files: no server, nothing kept')
  .requiredOption('-r, --references <path...>', 'files or folders of protected works')
  .requiredOption('-u, --uploads <path...>', 'files or folders to be judged')
  .option('-p, --policy <file>', 'JSON file with a policy; the defaults are cautious')
  .option('-j, --json', 'one line of JSON an upload, as each is finished')
  .option('--threads <n>', 'decoders that run at once', positive)
  .addHelpText('after', '\nExample:\n  $ vigil match --references films/ --uploads inbox/ --json')
  .action(async (options) => (await import('./commands/match.ts')).match(options));

program
  .command('start')
  .description('run the whole pipeline until told to stop (SIGTERM drains)')
  .option('--port <n>', 'where it listens', positive)
  .option('--data <folder>', 'where it keeps its data')
  .action(async (options) => (await import('./commands/start.ts')).start(options));

program
  .command('demo')
  .description('watch it work: registers works, sends uploads, checks each verdict')
  .option('-r, --references <dir>', 'your own protected works')
  .option('-u, --uploads <dir>', 'your own uploads')
  .option('--page', 'stay until Ctrl-C, with the page open; so it does by itself at a terminal')
  .option('--no-page', 'end when all is judged')
  .action(async (options) => (await import('./commands/demo.ts')).demo(options));

program
  .command('upload')
  .description('send files to a running instance')
  .argument('<file...>')
  .option(...instance)
  .option('-a, --account <name>', 'who uploads')
  .option('-w, --wait', 'wait for the verdicts')
  .action(async (given, options) => (await remote()).sendUploads(given, options));

const reference = program.command('reference').description('protected works of a running instance');
reference
  .command('add')
  .description('register files as references')
  .argument('<file...>')
  .option(...instance)
  .option('--holder <name>', 'whose works they are', 'operator')
  .option('-w, --wait', 'wait until they are live')
  .action(async (given, options) => (await remote()).addReferences(given, options));
reference
  .command('list')
  .description('what is protected, and how far it is')
  .option(...instance)
  .action(async (options) => (await remote()).listReferences(options));

program
  .command('trace')
  .description('show each step that an upload took, with times and reasons')
  .argument('<upload>', 'its id')
  .option(...instance)
  .option('-j, --json', 'as JSON')
  .action(async (given, options) => (await remote()).traceUpload(given, options));

program
  .command('doctor')
  .description('look at all that Vigil stands on, by using it, and say what to do; code 1 when something failed')
  .option('--data <folder>', 'where the instance keeps its data')
  .option('-j, --json', 'as JSON: check, state, found, todo')
  .action(async (options) => (await import('./commands/doctor.ts')).doctor(options));

program
  .command('status')
  .description(
    'the state of all on one screen: rates, queues, time to takedown, library, alarms, disks; code 1 when it needs somebody',
  )
  .option(...instance)
  .option('-w, --watch', 'stay, and draw it anew every 2 s')
  .option('-j, --json', 'as JSON; with --watch one line each time')
  .action(async (options) => (await import('./commands/status.ts')).status(options));

const data = ['--data <folder>', 'where the instance keeps its data; DATABASE_URL comes first'] as const;

program
  .command('replay')
  .description('judge again what was judged, and show what would be said; with --apply, say it')
  .option('-t, --topic <name>', 'from where: any way into the route, or its dead topic (vigil.fingerprints)')
  .option('--since <time>', 'what the log took from then on: 2030-01-31T08:00Z, or 24h for that long ago')
  .option('--until <time>', 'and before then')
  .option('--offsets <p:from-to...>', 'of these partitions and offsets; TO is left out')
  .option('-u, --upload <id...>', 'of these uploads')
  .option('--reason <text>', 'whose verdict has a reason that begins so; of a dead topic: that died of it')
  .option('--engine-before <n>', 'that were judged by an engine below this version')
  .option('--policy-before <id@n>', 'that were judged by this policy, in a version below')
  .option('--index-before <n>', 'that were searched before the index had read so far')
  .option('--apply', 'give what differs a further revision, with its takedowns; without it nothing is sent')
  .option('--restart', 'begin anew, though an earlier run with the same options was not finished')
  .option('--resume', 'go on with it, though --since or --until mean another time by now')
  .option('--rate <n>', 'at most so many records a second', positive)
  .option('--concurrency <n>', 'looks at a time (2)', positive)
  .option('-j, --json', 'one line of JSON an upload that is not as it was, then one with the sum')
  .option(...data)
  .addHelpText(
    'after',
    `
After a day in which the matcher found nothing:
  $ vigil replay --since 26h --until 1h          what would be said now
  $ vigil replay --since 26h --until 1h --apply  say it
Interrupted, the same command goes on, unless its times have moved by an hour (--resume). Done twice it changes nothing more.`,
  )
  .action(async (options) => (await import('./commands/replay.ts')).replay(options));

program
  .command('look-back')
  .description('compare new references with what was uploaded before them; with --apply, act on what is found')
  .option('-r, --reference <id...>', 'these; else all with which that was not done yet')
  .option('--since <time>', 'all that went live since then')
  .option('--apply', 'give what is found a further revision, with its takedowns; without it nothing is sent')
  .option('--restart', 'begin anew, though an earlier run was not finished')
  .option('-j, --json', 'one line of JSON an upload that is not as it was, then one with the sum')
  .option(...data)
  .action(async (options) => (await import('./commands/look-back.ts')).lookBack(options));

const dead = program.command('dead').description('events that could not be handled');
const deadCommands = () => import('./commands/dead.ts');
const deadCommand = (name: string, about: string) =>
  dead
    .command(name)
    .description(about)
    .option('-t, --topic <name>', 'of this topic')
    .option('--reason <text>', 'whose reason has these words in it')
    .option('-j, --json', 'as JSON')
    .option(...data);
deadCommand('list', 'what is open, by topic and reason')
  .option('-a, --all', 'what was settled as well')
  .action(async (options) => (await deadCommands()).listDead(options));
deadCommand('show', 'the events of one cause, or one event with all that it carries')
  .argument('<cause|letter>', 'of `vigil dead list`; a letter is TOPIC/PARTITION/OFFSET')
  .option('-n, --limit <n>', 'so many (20)', positive)
  .action(async (given, options) => (await deadCommands()).showDead(given, options));
deadCommand('retry', 'send them again to where they came from')
  .argument('[cause|letter]')
  .option('-a, --all', 'all that are open')
  .option('--by <name>', 'who says so (whoever sits here)')
  .action(async (given, options) => (await deadCommands()).retryDead(given, options));
deadCommand('drop', 'nothing is to be done about them')
  .argument('[cause|letter]')
  .option('-a, --all', 'all that are open')
  .option('--by <name>', 'who says so (whoever sits here)')
  .option('--why <text>', 'is kept with it')
  .action(async (given, options) => (await deadCommands()).dropDead(given, options));

const auditCommands = () => import('./commands/audit-remote.ts');
const audit = program.command('audit').description('what was said and done in all cases');
audit
  .command('verify')
  .description('check every chain and root, and name the first link that is not as it was written')
  .option(...data)
  .option('--roots <file>', 'a copy of the roots that was kept elsewhere')
  .option('-j, --json', 'as JSON')
  .action(async (options) => (await import('./commands/audit.ts')).verifyAudit(options));
audit
  .command('heads')
  .description('the newest roots of a running instance, and what none covers yet; code 1 when one is late')
  .option(...instance)
  .option('-n, --limit <n>', 'so many roots, 200 at most', upTo(200), 24)
  .option('-j, --json', 'as JSON')
  .action(async (options) => (await auditCommands()).showHeads(options));
audit
  .command('erase')
  .description('delete what people wrote in a case, a notice or a conflict, for ever; every chain stays whole')
  .argument('<case|notice|conflict>', 'its id')
  .option(...instance)
  .option('--paper <id>', 'one of its papers; else all')
  .requiredOption('--why <text>', 'stays for ever: the number of the request, nothing personal')
  .option('-j, --json', 'as JSON')
  .addHelpText(
    'after',
    `
For requests of data protection; with a key of an operator. What a case has of papers, and whether they are erased:
  $ curl -sS "$VIGIL_INSTANCE/v1/cases/CASE" -H "authorization: Bearer $VIGIL_KEY"
Example:
  $ vigil audit erase case_... --paper paper_... --why "request 2026-17"`,
  )
  .action(async (given, options) => (await auditCommands()).erase(given, options));

program
  .command('shards')
  .description('in how many parts the library is searched, by whom; with a number: change it, stranding no upload')
  .argument('[n]', 'from now on so many; refused until each part has a matcher that is ready', positive)
  .option(...instance)
  .option(
    '-w, --wait',
    'wait until the new matchers are ready, change, then wait until the old ones are needed no more',
  )
  .addHelpText(
    'after',
    `
To change from 2 shards to 3 while uploads come in:
  1. start matchers with VIGIL_SHARDS=3 and VIGIL_SHARD=0, 1, 2 beside those that run
  2. $ vigil shards 3 --wait
  3. stop the matchers of the old layout, and take each away: $ vigil replicas remove NAME`,
  )
  .action(async (given, options) => (await fleet()).shards(given, options));

const replicas = program
  .command('replicas')
  .description('who holds which part of the library')
  .option(...instance)
  .action(async (options) => (await fleet()).listReplicas(options));
replicas
  .command('remove')
  .description('take away a replica that is gone for good: new references go live without it')
  .argument('<name>', 'its VIGIL_REPLICA')
  .option(...instance)
  .option('--shard <i/n>', 'of this shard, where the name is used by several')
  .option('--force', 'though it was seen just now')
  .action(async (given, _options, command) => (await fleet()).removeReplica(given, command.optsWithGlobals()));

const brakeCommands = () => import('./commands/brakes.ts');
const brakes = program
  .command('brakes')
  .description('what keeps takedowns back, and why')
  .option(...instance)
  .option('--all', 'released ones as well')
  .option('-j, --json', 'as JSON')
  .action(async (options) => (await brakeCommands()).listBrakes(options));
brakes
  .command('list')
  .description('the same')
  .action(async (_, command) => (await brakeCommands()).listBrakes(command.optsWithGlobals()));
brakes
  .command('show')
  .description('one of them, with the takedowns that it keeps back')
  .argument('<brake>', 'its id')
  .action(async (given, _, command) => (await brakeCommands()).showBrake(given, command.optsWithGlobals()));
brakes
  .command('release')
  .description('from now on it holds nothing')
  .argument('<brake>', 'its id')
  .option('--rejudge', 'what it held is judged again by what was found then')
  .option('--leave', 'what it held stays in review')
  .addHelpText(
    'after',
    `
A brake of a reference or a holder judges again by default: what is right is taken down, and what rests on a reference that was
disabled meanwhile is cleared. One on all takedowns leaves what it held to review: what a broken index has found is for
\`vigil replay\`, which looks anew.`,
  )
  .action(async (given, _, command) => (await brakeCommands()).releaseBrake(given, command.optsWithGlobals()));
brakes
  .command('set')
  .description('by hand: from now on takedowns of a reference, of a holder, or all of them, go to a person')
  .option('--reference <id>', 'those by it')
  .option('--holder <name>', 'those for it')
  .requiredOption('--why <text>', 'for whoever finds it set')
  .action(async (_, command) => (await brakeCommands()).setBrake(command.optsWithGlobals()));

program
  .command('canary')
  .description('a black box: uploads a copy that must be taken down and a clip that must be cleared, every few minutes')
  .option('-i, --instance <url>', 'where Vigil runs (VIGIL_CANARY_INSTANCE)')
  .option('--once', 'one round; the code is 0 when it was green, 1 when it was not, 2 when it could not run')
  .option('--every <seconds>', 'from the beginning of a round to the next (300)', positive)
  .action(async (options) => (await import('./commands/canary.ts')).canary(options));

const keys = program.command('keys').description("keys of a running instance's API");
const keyCommands = () => import('./commands/keys.ts');
keys
  .command('create')
  .description('make a key: it is printed once, and kept nowhere')
  .option(...instance)
  .option('--holder <name>', "a rights-holder's key: opens that holder's rows alone")
  .option('--role <role>', 'platform, reviewer or operator, for keys that belong to no holder')
  .option('--name <text>', 'what it is for')
  .option('--verbs <list>', 'what it may do, like works:read,references:write; else all that its role may')
  .option('--days <n>', 'how long it lasts (365)', positive)
  .action(async (options) => (await keyCommands()).createKey(options));
keys
  .command('list')
  .description('whose keys there are, and until when')
  .option(...instance)
  .action(async (options) => (await keyCommands()).listKeys(options));
keys
  .command('rotate')
  .description('print a new key that takes the place of one, which goes on for a while')
  .argument('<key>', 'its id')
  .option(...instance)
  .option('--overlap <hours>', 'how long the old one goes on (24)', Number)
  .action(async (given, options) => (await keyCommands()).rotateKey(given, options));
keys
  .command('revoke')
  .description('from now on it opens nothing')
  .argument('<key>', 'its id')
  .option(...instance)
  .action(async (given, options) => (await keyCommands()).revokeKey(given, options));

program
  .command('console')
  .description('the page where people look')
  .command('sign-in')
  .description('print a link that signs somebody in at the page, once')
  .option(...instance)
  .requiredOption('--role <role>', 'reviewer, operator or holder')
  .option('--holder <name>', 'whose rows a holder sees')
  .option('--name <text>', 'whom it is for')
  .action(async (options) => (await keyCommands()).signIn(options));

program
  .command('schema')
  .description('what stands on the topics: JSON Schema of an event, or all of it as AsyncAPI')
  .argument('[name]', 'one of the events; without it they are listed')
  .option('--asyncapi', 'topics, keys and messages as an AsyncAPI 3 document')
  .action(async (given, options) => (await import('./commands/schema.ts')).schema(given, options, RELEASE));

try {
  await program.parseAsync();
} catch (error) {
  // Help and --version end here as well, with code 0.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof UsageError) fail(error.message, 2);
  else fail(error instanceof Error ? error.message : String(error), 1);
}
