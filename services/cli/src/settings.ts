import { NoDatabase } from '@vigil/pipeline';
import { type Config, readConfig } from '@vigil/runtime';
import { UsageError } from './output.ts';

/** The settings of an installation on this machine; `--data` comes before VIGIL_DATA. @throws ConfigError */
export const configOf = (data: string | undefined): Config =>
  readConfig({ ...process.env, ...(data ? { VIGIL_DATA: data } : {}) });

/** What is opened beside an installation, or an audit of it: a folder that holds none is the caller's to put right. @throws UsageError */
export const ofInstallation = <T>(opening: Promise<T>): Promise<T> =>
  opening.catch((error: unknown) => {
    throw error instanceof NoDatabase ? new UsageError(error.message) : error;
  });
