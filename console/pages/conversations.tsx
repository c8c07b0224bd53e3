export default function ConversationsPage() {
  return null;
}
