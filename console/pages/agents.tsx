// Agents: all of them, one of them, a new one, and a conversation with one.
import { useRoute } from 'wouter';
import { AgentChatPage } from './agents/chat.tsx';
import { AgentPage } from './agents/detail.tsx';
import { AgentListPage } from './agents/list.tsx';
import { RegisterPage } from './agents/register.tsx';
import { NotFoundPage } from './not-found.tsx';

export default function AgentsPage() {
  const [, params] = useRoute('/agents/:id?/*?');
  const id = params?.id;
  const rest = params?.['*'];
  if (id === undefined) return <AgentListPage />;
  if (id === 'new' && rest === undefined) return <RegisterPage />;
  if (rest === undefined) return <AgentPage key={id} id={id} />;
  if (rest === 'chat') return <AgentChatPage key={id} id={id} />;
  return <NotFoundPage />;
}
