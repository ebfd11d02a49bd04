/**
 * `npm run screenshots -- FOLDER [PART-OF-A-NAME ...]`: every view of the page with something in it, at 390 and 1440 px, light and dark, to be
 * looked at. Nothing of it is kept in the repository.
 */
import { browserHere, openBrowser } from './browser.ts';
import { fill } from './content.ts';
import { openStand } from './stand.ts';
import { everyView } from './views.ts';

const program = browserHere();
if (!program) throw new Error('there is no browser: install Chromium, or name one with VIGIL_CHROMIUM');
const [folder = 'screenshots', ...only] = process.argv.slice(2);
await using stand = await openStand();
await fill(stand);
await using browser = await openBrowser(program);
await everyView(stand, browser, folder, only);
