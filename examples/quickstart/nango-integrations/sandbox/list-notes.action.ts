import { NangoAction } from '@nangohq/action';

interface Note {
  id: number;
  text: string;
}

/** Lists the notes of the connected account, newest first. */
class SandboxListNotesAction extends NangoAction {
  override async executeAction(input: { limit?: number } | null) {
    const response = await this.httpRequest('notes', 'GET', { limit: input?.limit ?? 3 });
    const { notes } = response.json as { notes: Note[] };
    this.logger.info('Notes listed', { status: response.status, count: notes.length });
    return { status: response.status, notes };
  }
}

export { SandboxListNotesAction };
