import { type Config, readConfig } from '@vigil/runtime';

/** The settings of an installation on this machine; `--data` comes before VIGIL_DATA. @throws ConfigError */
export const configOf = (data: string | undefined): Config =>
  readConfig({ ...process.env, ...(data ? { VIGIL_DATA: data } : {}) });
