import { Component, type ReactNode } from 'react';
import { PanelError } from './panel-states.tsx';

/** A page that breaks takes nothing else along. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return <PanelError className="h-full" error={this.state.error} retry={() => location.reload()} />;
  }
}
