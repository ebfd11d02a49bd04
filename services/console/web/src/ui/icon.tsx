const PATHS = {
  review:
    'M3 12s3.5-6.5 9-6.500S21 12 21 12s-3.5 6.5-9 6.500S3 12 3 12Zm9 2.700a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.400Z',
  cases:
    'M4 7.500A1.5 1.5 0 0 1 5.5 6H10l2 2.500h6.500A1.5 1.5 0 0 1 20 10v7.500a1.5 1.5 0 0 1-1.5 1.500h-13A1.5 1.5 0 0 1 4 17.500v-10Z',
  library: 'M4 5.500h16v13H4v-13Zm4 0v13m8-13v13M4 9.800h4m-4 4.400h4m8-4.400h4m-4 4.400h4',
  picture: 'M4 5.5h16v13H4v-13Zm0 10 4.5-4.5 4 4 2.5-2.5 5 5M15.5 9.5h.1',
  live: 'M3 12h4l2.5-6 5 12L17 12h4',
  upload: 'M12 16V5m0 0L7.5 9.500M12 5l4.5 4.500M5 19h14',
  back: 'M14.5 6 8.5 12l6 6',
  play: 'M8 5.500v13l10.5-6.500L8 5.500Z',
  pause: 'M8 5.500v13m8-13v13',
  check: 'm5 12.5 4.5 4.500L19 7.5',
  cross: 'm6.5 6.5 11 11m0-11-11 11',
  skip: 'm6 6 8 6-8 6V6Zm11 0v12',
  undo: 'M8.5 8.500H15a4.5 4.5 0 0 1 0 9H9m-.5-9L12 5M8.5 8.5 12 12',
  help: 'M9.3 9.200a2.8 2.8 0 1 1 4 2.500c-.9.4-1.3 1-1.3 1.900m0 3v.1',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0-5v1.500m0 15V21m9-9h-1.500m-15 0H3m15.4-6.4-1.1 1.100M6.7 17.300l-1.1 1.100m0-12.8 1.1 1.100m10.6 10.6 1.1 1.1',
  out: 'M14 5.500H6v13h8M11 12h9m0 0-3.5-3.500M20 12l-3.5 3.5',
  outline:
    'M4 8V5.5A1.5 1.5 0 0 1 5.5 4H8m8 0h2.5A1.5 1.5 0 0 1 20 5.5V8m0 8v2.5a1.5 1.5 0 0 1-1.5 1.5H16m-8 0H5.5A1.5 1.5 0 0 1 4 18.5V16m5-7h6v6H9V9Z',
} as const;

export type IconName = keyof typeof PATHS;

/** A picture beside words that say the same: nothing for a screen reader. */
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.7"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
