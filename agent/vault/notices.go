package vault

import "fmt"

// notice keeps something that was noticed for whoever asks with TakeNotices.
func (w *Writer) notice(s Severity, object, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notices = append(w.notices, Finding{s, object, fmt.Sprintf(format, args...)})
}

// TakeNotices returns what was noticed since the last call.
func (w *Writer) TakeNotices() []Finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.notices
	w.notices = nil
	return n
}
