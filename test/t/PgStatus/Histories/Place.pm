# Where the servers of histories run: here, all of them on 127.0.0.1. Histories::Namespaces is another such place. It knows
# nothing of what is done to servers.
package PgStatus::Histories::Place;

use strict;
use warnings;

sub new { my ($class) = @_; return bless {}, $class }

# Whether cut(), silence() and drop() can be done here; who has no network of its own has no such methods.
sub has_network { return 0 }

# Where the others find a server, and what its listen_addresses is.
sub address { return '127.0.0.1' }
sub listens { return '127.0.0.1' }

# Runs $code where a server is: what it starts is there, and what it connects to 127.0.0.1 is the server's. Returns what
# it returned.
sub at { my ($self, $name, $code) = @_; return $code->() }

# All faults of the network are gone.
sub heal { return }

1;
