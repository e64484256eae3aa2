// Clients that ask: the sockets of the discovery and the check port. Each has a Client state
// machine; this moves its bytes, keeps its deadlines and hands it to the drain when it is done.
//
// A client whose request is held back until something changes costs nothing while it waits: it is
// watched for its leaving only, and has a timer of its own in place of the common tick. When the
// generation changes, all who waited are due, and are answered by and by: some in each step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <utility>

#include "answer/client.hpp"
#include "answer/traffic.hpp"
#include "base/ip_address.hpp"
#include "loop/drain.hpp"
#include "loop/event_loop.hpp"
#include "loop/owned_fd.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class Conversations {
 public:
  // drain: takes over sockets that have been answered (its owner looks after it: drained is called
  // after each). traffic: where clients are counted. between_turns: called between two clients'
  // turns, as many of them may be ready at once and others must not wait for all. before_answers:
  // called before a client's bytes are answered, to bring what the answers look at up to date.
  Conversations(EventLoop& loop, DrainQueue& drain, Traffic& traffic,
                std::function<void(MonoUs now)> between_turns,
                std::function<void(const IpAddress& from)> before_answers,
                std::function<void()> drained);
  ~Conversations();
  Conversations(const Conversations&) = delete;
  Conversations& operator=(const Conversations&) = delete;

  // For clients that come from now on. most: open at once on one port.
  void Configure(std::size_t most, const ClientLimits& limits, std::int64_t drain_patience_us);

  // Takes over a non-blocking socket. When there are too many on its port, one makes room: the one
  // that has been idle for longest, else the one that has been busy for longest, if that is long,
  // else the one that has been held back for longest, if that is. When none is, the new one is told
  // so and let go.
  void Add(OwnedFd fd, Service& service, const IpAddress& from, MonoUs now);

  // Ends the conversations with those for whom this is true.
  void DropIf(const std::function<bool(Port port, const IpAddress& from)>& unwelcome);

  // The generation of changes that answers tell from now on; whoever waits for another one is due.
  void SetGeneration(std::uint64_t generation);

  // Answers some of those who are due.
  void ServeDue();
  bool has_due() const { return !due_.empty(); }

  std::size_t size() const { return talks_.size() + held_.size() + due_.size(); }

 private:
  struct Talk;
  using Talks = std::list<Talk>;

  struct Talk {
    Talk(Conversations& owner, OwnedFd socket, Service& service, const IpAddress& where,
         const ClientLimits& limits, MonoUs now)
        : conversations(owner),
          port(service.port()),
          from(where),
          fd(std::move(socket)),
          busy_since(now),
          client(service, limits, now) {}
    Conversations& conversations;
    const Port port;
    const IpAddress from;
    OwnedFd fd;
    MonoUs busy_since;       // 0: idle
    int events = 0;          // what the watcher waits for
    bool left = false;       // its side has ended while it was held back
    std::size_t unsent = 0;  // as counted in unsent_
    Client client;
    PollHandle watch;
    TimerHandle patience;    // made when it is held back for the first time
    Talks* place = nullptr;  // which list it is in
    Talks::iterator self;
  };

  void Ready(Talk& talk, int ready);
  bool Turn(Talk& talk, int ready, MonoUs now);
  bool Receive(Talk& talk, MonoUs now);
  bool Send(Talk& talk, MonoUs now);
  bool Watch(Talk& talk);
  void Move(Talk& talk, Talks& to);
  bool IsOver(const Talk& talk, MonoUs now) const;
  bool LookWhoLeaves(Talk& talk, MonoUs now);
  void HoldBack(Talk& talk);
  Talk* LongestHeld(Port port);
  void Finish(Talk& talk, MonoUs now);
  void Drop(Talk& talk);
  bool MakeRoom(Port port, MonoUs now);
  void Refuse(OwnedFd fd, Service& service, MonoUs now);
  void ArmTick();
  void Tick();
  void CountUnsent(Talk& talk);
  void LimitUnsent(const Talk& current);
  void GiveMemoryBack();

  EventLoop& loop_;
  DrainQueue& drain_;
  Traffic& traffic_;
  const std::function<void(MonoUs now)> between_turns_;
  const std::function<void(const IpAddress& from)> before_answers_;
  const std::function<void()> drained_;
  std::size_t most_ = 512;
  ClientLimits limits_;
  std::int64_t drain_patience_us_ = 0;
  Talks talks_;  // in the order of their last progress, so that the idlest come first
  Talks held_;   // with nothing to send, waiting for another generation
  Talks due_;    // not any more
  std::uint64_t generation_ = 0;
  std::size_t unsent_ = 0;  // bytes of output that all of them have
  std::size_t crowd_ = 0;   // the most at once since memory was last given back
  TimerHandle tick_;
  bool ticking_ = false;
};

}  // namespace pg_status
