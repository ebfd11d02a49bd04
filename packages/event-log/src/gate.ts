/**
 * Lets records run side by side, or one of them alone in the whole process. A record that is suspected of killing its
 * process must be the only one that runs, over all consumers, or an innocent one would be blamed for the guilty one's deed.
 * First come, first served: neither kind can starve the other.
 */
export interface Gate {
  /** Both resolve with the function that leaves again; call it exactly once. */
  together(): Promise<() => void>;
  alone(): Promise<() => void>;
}

export function createGate(): Gate {
  const line: { alone: boolean; enter(): void }[] = [];
  let inside = 0;
  let occupied = false;

  const admit = () => {
    for (let first = line[0]; first && !occupied && (!first.alone || inside === 0); first = line[0]) {
      line.shift();
      inside++;
      occupied = first.alone;
      first.enter();
    }
  };
  const leave = () => {
    inside--;
    if (inside === 0) occupied = false;
    admit();
  };
  const enter = (alone: boolean) =>
    new Promise<() => void>((resolve) => {
      line.push({ alone, enter: () => resolve(leave) });
      admit();
    });
  return { together: () => enter(false), alone: () => enter(true) };
}
