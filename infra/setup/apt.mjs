import { existsSync, readFileSync } from 'node:fs';
import { capture, lastLine, say } from './process.mjs';

const LIMIT_MS = 10 * 60_000;

/**
 * Installs packages as root on Debian or Ubuntu; false, with why in `seen`, where that was not possible. One source of packages that
 * is down fails the update; the rest may still have what is wanted.
 */
export async function installWithApt(packages, env, seen) {
  if (!canInstall()) return false;
  say(`Setting up: installing ${packages[0]} with apt-get (once) ...`);
  const aptEnv = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = ['-y', '-qq', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=2'];
  let installed = false;
  for (const args of [['update'], ['install', '--no-install-recommends', ...packages]]) {
    const apt = await capture('apt-get', [...options, ...args], { env: aptEnv, limitMs: LIMIT_MS });
    const last = lastLine(apt.stderr.trim() || apt.stdout);
    if (apt.code !== 0) seen.push(`apt-get ${args[0]} failed with code ${apt.code}: ${last}`);
    installed = apt.code === 0;
  }
  return installed;
}

const canInstall = () => process.getuid?.() === 0 && isDebianOrUbuntu();

export function isDebianOrUbuntu() {
  if (!existsSync('/etc/os-release') || !existsSync('/usr/bin/apt-get')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}
