// Package proc runs child processes that do not outlive their parent.
//
// What it promises:
//
//   - A child is in a process group of its own: a Ctrl-C in the terminal reaches the parent alone, which ends its
//     children in the order it likes.
//   - On Linux a child is killed by the kernel when its parent dies in any way, also by SIGKILL.
//   - A child's output goes to a file, which is set aside when it has grown large, and whose end is at hand for the
//     message that says why a child died.
package proc
