import { Component, type ComponentChildren } from 'preact';

/** A mistake in one view leaves the rest of the page standing, and is seen. */
export class Guard extends Component<{ children: ComponentChildren }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  override componentDidCatch(error: Error): void {
    this.setState({ error });
    reportError(error);
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <div class="page">
        <div class="empty" role="alert">
          <h1>This view has failed</h1>
          <p>It is a mistake in the page, not in what you did: {error.message}. Nothing was changed by it.</p>
          <button type="button" class="button" onClick={() => location.reload()}>
            Load it again
          </button>
        </div>
      </div>
    );
  }
}
