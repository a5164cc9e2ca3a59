/* The pause container of the lab: holds the pod's namespaces, reaps its children, ends on SIGTERM; -v tells what it is. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) { _exit(signal == SIGTERM || signal == SIGINT ? 0 : 1); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0); }

int main(int count, char **arguments) {
  /* `kubeadm upgrade plan` runs it so, to see that the cluster runs Jobs. */
  if (count > 1 && !strcmp(arguments[1], "-v")) return write(1, "pause.c of the lab\n", 19) != 19;
  signal(SIGTERM, end);
  signal(SIGINT, end);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
