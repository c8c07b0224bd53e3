import { Link } from 'wouter';
import { PanelEmpty } from '../parts/panel-states.tsx';

export function NotFoundPage() {
  return (
    <PanelEmpty
      title="There is no such page"
      isPage
      className="h-full"
      action={
        <Link href="/" className="text-accent underline underline-offset-2">
          To Home
        </Link>
      }
    >
      The address may be old, or mistyped.
    </PanelEmpty>
  );
}
